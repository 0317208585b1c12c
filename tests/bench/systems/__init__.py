"""What is compared. One file per system."""
