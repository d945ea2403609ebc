ssh -L {{port}}:localhost:{{port}} you@remote
