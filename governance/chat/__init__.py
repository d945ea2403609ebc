"""Messages in Slack and Microsoft Teams to the person who must decide. They point to the console and decide nothing."""
