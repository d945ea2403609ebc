"""Systems, tools and entitlements as the console shows them."""
