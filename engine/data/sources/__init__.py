"""Files and folders as readers of images: which kind it is, what it is made of, how a piece of it is asked for."""
