"""What clients and workers tell each other over Redis: Turns and their streams, inquiries and their answers."""
