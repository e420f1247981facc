"""Other servers of the same champion, each in its usual form, tuned as its documentation says."""
