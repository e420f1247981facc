"""The champion: gate, ledger, promotion, lineage, BentoML's store."""
