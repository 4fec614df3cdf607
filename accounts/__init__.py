"""Who is calling, and what may they do? Tenants, people, roles and API keys."""
