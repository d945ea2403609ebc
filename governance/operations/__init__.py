"""Operations: health, metrics, invariants, start-up checks, restore, key rotation."""
