"""What a person can do with what is open: each job is an object, beside the functions its tasks run on the worker."""
