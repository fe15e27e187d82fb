"""Other designs in their smallest honest form, to compare with. They run in an environment of their own."""
