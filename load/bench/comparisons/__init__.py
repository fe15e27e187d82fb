"""What people would use instead, measured on the same machine in the same run."""
