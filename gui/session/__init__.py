"""What is open and what state it is in; the queue of jobs and the one worker thread."""
