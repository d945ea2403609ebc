"""What holds a child within its limits: Landlock, seccomp, resource limits, a keeper. Standard library only."""
