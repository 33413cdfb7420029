"""`proctor chat`: the conversation at a terminal."""
