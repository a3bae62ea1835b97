"""Other people's defences, built from their papers and measured on the zoo's networks beside this project's own."""
