"""`proctor serve`: OpenAI's HTTP API over the fleet's models, and the page."""
