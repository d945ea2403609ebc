pip install 'mcp>=2.3' && python agent.py
