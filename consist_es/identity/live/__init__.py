"""What loaded modules and objects hold beyond their text."""
