"""What is open and what state it is in; tasks, jobs and the one worker thread."""
