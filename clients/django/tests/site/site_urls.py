from django.contrib.auth import authenticate, login, logout
from django.http import HttpResponse
from django.urls import include, path


def enter(request):
    login(request, authenticate(request, username=request.GET["as"], password="secret"))
    return HttpResponse("welcome")


def leave(request):
    logout(request)
    return HttpResponse("goodbye")


def visit(request):
    request.session["seen"] = True
    return HttpResponse("hello")


urlpatterns = [
    path("enter", enter),
    path("leave", leave),
    path("visit", visit),
    path("ws4redis/", include("ws4redis.urls")),
]
