"""Operations of a torch network, counted while it runs."""
