pip install 'mcp>=2.3' && python connect.py
