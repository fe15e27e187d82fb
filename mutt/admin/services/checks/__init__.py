"""The checks of the diagnosis, by what they look at. Each returns findings and names the fix of what is wrong."""
