"""From the files a person picked to a network and sets that fit together: how images are fed, what labels are."""
