"""What one person proposes and another confirms."""
