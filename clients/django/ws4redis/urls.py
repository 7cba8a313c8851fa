"""`path("ws4redis/", include("ws4redis.urls"))`, for the gateway and nobody else."""

from django.urls import path

from .views import authorize

app_name = "ws4redis"
urlpatterns = [path("authorize", authorize, name="authorize")]
