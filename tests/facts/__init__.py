"""What real agents do that fools a careless client, each fact played by simulated agents."""
