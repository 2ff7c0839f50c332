import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** Asks the URL given with each token given, as Java's own client does (it offers HTTP/2); prints the statuses. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int each = 1; each < arguments.length; each++) {
            HttpRequest request =
                HttpRequest.newBuilder(URI.create(arguments[0])).header("X-API-Key", arguments[each]).build();
            System.out.println(client.send(request, BodyHandlers.ofString()).statusCode());
        }
    }
}
