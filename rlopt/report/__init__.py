"""Results of trained agents: statistics, tables and pictures, and what run folders tell."""
