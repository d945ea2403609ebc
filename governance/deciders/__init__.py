"""What a decision of a reviewer needs: pure rules."""
