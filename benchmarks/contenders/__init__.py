"""Other servers of the same champion, each in its usual form and as its own documentation tunes it."""
