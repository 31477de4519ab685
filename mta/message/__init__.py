"""The letter: header, stream and trace fields of one message; pure, standard library only."""
