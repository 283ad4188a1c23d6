"""What things are: volumes, masks, patches, history. numpy and scipy only; no Qt, no disk, no network."""
