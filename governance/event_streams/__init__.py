"""The console's pages of streams of security events: receivers, their streams, and streams that are polled."""
