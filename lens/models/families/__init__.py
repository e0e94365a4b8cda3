"""One small file for each family of models; each defines `FAMILY`, which says where a model's parts are.

To add a family, write such a file (gpt2.py is a short one) and a tiny config of it in tests/conftest.py: the contract
tests then run over it. What the file says is proved on each model that is loaded, so that a mistake is no danger.
"""
