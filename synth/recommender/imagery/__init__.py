"""Imagery as Inquiry: requests for books and music made through pictures (Yoon et al., 2024)."""
