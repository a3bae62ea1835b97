"""Networks whose truth is known, clean ones and backdoored ones, to find out what examining and defending are worth."""
