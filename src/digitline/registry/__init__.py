"""Who may be champion and who was: the gate, the ledger, promotion, lineage, BentoML's store."""
