"""What may be said of models that sat the same questions, and the words it is said in."""
