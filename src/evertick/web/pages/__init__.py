"""The pages: views (pure), templates and the routes that bring them together."""
