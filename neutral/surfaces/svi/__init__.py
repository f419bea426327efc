"""SVI smiles and SSVI surfaces."""
