"""Jobs: when they are due (`schedule`), who runs them (`slots`, `heartbeat`), running (`runner`), and handing out (`scheduler`)."""
