"""What a point fit is and what can be read off it: numbers only."""
