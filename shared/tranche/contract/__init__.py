"""What services and users say to each other: messages, subjects and the rules of input. Pure values."""
