"""The tool `request_access`, the requests that it makes, and the denied calls that their links keep."""
