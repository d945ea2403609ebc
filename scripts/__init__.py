"""Programs that are run from a checkout; the product never imports them."""
