"""What a person may ask for; called by Slack and by the command line alike."""
