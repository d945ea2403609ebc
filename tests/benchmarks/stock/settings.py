"""django-oauth-toolkit as its documentation sets it up, less every middleware, with connections kept: to its favour."""

from governance import env

SECRET_KEY = env.secret("SECRET_KEY").reveal()
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "tests.benchmarks.stock.urls"
DATABASES = {"default": {**env.database("DATABASE_URL"), "CONN_MAX_AGE": 600}}
OAUTH2_PROVIDER = {"SCOPES": {"read": "Read", "introspection": "Introspect"}}
