"""What Hydra sees of xstilts: a sweeper and launchers that hand over to `xstilts.sweep`."""
