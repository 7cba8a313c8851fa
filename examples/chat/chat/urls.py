"""The addresses of the chat."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from chat import views

urlpatterns = [
    path("", views.everyone, name="everyone"),
    path("direct/", views.direct, name="direct"),
    path("groups/", views.groups, name="groups"),
    path("say/", views.say, name="say"),
    path(
        "login/",
        LoginView.as_view(template_name="chat/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    # The gateway's question, for each client: nginx lets nobody else ask it.
    path("ws4redis/", include("ws4redis.urls")),
]
